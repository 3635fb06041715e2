//! Point Localizer: words become a point on an image
