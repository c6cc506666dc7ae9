//! kp-memory
