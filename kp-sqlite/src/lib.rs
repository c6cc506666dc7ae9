//! kp-sqlite
