//! A point on a photograph becomes words, and the words become a point again.
