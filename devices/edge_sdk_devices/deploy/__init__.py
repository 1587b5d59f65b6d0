"""From a bundle on the workstation to a verified one on a device: an environment, versioned releases, and a way back."""

from .install import Deployment, deploy
from .plan import DeployPlan, Service
from .probe import Probe, probe
from .rollback import roll_back
from .wheel import RuntimeWheel, runtime_wheel

__all__ = [
    "DeployPlan",
    "Deployment",
    "Probe",
    "RuntimeWheel",
    "Service",
    "deploy",
    "probe",
    "roll_back",
    "runtime_wheel",
]
