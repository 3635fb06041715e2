//! Operators that Burn lacks or runs slowly, as extensions of its backend trait
