from .bench.benchmark import Benchmark as Benchmark
from .bench.evaluate import evaluate as evaluate
from .data import load as load
from .dataset import Data as Data
from .dataset import Split as Split
from .explain.importance import Importance as Importance
from .explain.packages.given import on_arrays as on_arrays
from .models.trained import TrainedModel as TrainedModel
from .plan.spec import Spec as Spec
from .results.result import Result as Result
from .types import Recipe as Recipe
from .types import Skipped as Skipped
from .types import Source as Source
from .types import UproarError as UproarError

__version__: str
