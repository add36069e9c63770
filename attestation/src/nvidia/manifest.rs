//! Reference integrity manifests (RIMs): what a device with this firmware or driver measures, signed by NVIDIA.
