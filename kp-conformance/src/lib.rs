//! kp-conformance
