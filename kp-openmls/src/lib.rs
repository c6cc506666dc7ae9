//! kp-openmls
