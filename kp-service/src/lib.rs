//! kp-service
