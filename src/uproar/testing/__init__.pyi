from .explainers import check_explainer as check_explainer
from .removals import REMOVAL_LAYOUTS as REMOVAL_LAYOUTS
from .removals import check_removal as check_removal
from .removals import toy_data as toy_data
from .toys import LAYOUTS as LAYOUTS
from .toys import known_ranking as known_ranking
from .toys import toy_experiment as toy_experiment
from .toys import toy_model as toy_model
