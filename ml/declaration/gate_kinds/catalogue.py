"""The catalogue of gates: a new one is a file and a line of it. They answer in this order."""

from ml.declaration.gate_kinds.baseline import BaselineGate
from ml.declaration.gate_kinds.calibration import CalibrationGate
from ml.declaration.gate_kinds.champion import ChampionGate
from ml.declaration.gate_kinds.finite import FiniteGate
from ml.declaration.gate_kinds.kind import GateKind
from ml.declaration.gate_kinds.latency import LatencyGate
from ml.declaration.gate_kinds.leaks import LeakGate
from ml.declaration.gate_kinds.parity import ParityGate
from ml.declaration.gate_kinds.plausible import PlausibleGate
from ml.declaration.gate_kinds.size import SizeGate
from ml.declaration.gate_kinds.slices import SliceGate

KINDS: tuple[type[GateKind], ...] = (
    FiniteGate,
    PlausibleGate,
    BaselineGate,
    ChampionGate,
    SliceGate,
    LeakGate,
    CalibrationGate,
    ParityGate,
    LatencyGate,
    SizeGate,
)
SWITCHES = tuple(kind.name for kind in KINDS if kind.can_be_off)  # those that may be `off`
