//! Point Descriptor: a point on an image becomes words, through a Gaussian attention mask
