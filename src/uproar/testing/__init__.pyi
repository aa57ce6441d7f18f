from .executors import check_executor as check_executor
from .explainers import check_explainer as check_explainer
from .stores import check_store as check_store
from .toys import LAYOUTS as LAYOUTS
from .toys import known_ranking as known_ranking
from .toys import toy_experiment as toy_experiment
from .toys import toy_model as toy_model
