//! One training loop: schedule, accumulation, checkpoints, logs; names no model
