//! The eyes: ConvNeXt, deformable pixel decoder, masked query decoder
