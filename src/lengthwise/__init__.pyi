from lengthwise.api.regressor import LengthRegressor as LengthRegressor
from lengthwise.api.regressor import load_predictor as load_predictor
from lengthwise.api.simulation import Result as Result
from lengthwise.api.simulation import simulate as simulate
from lengthwise.core.policy import Policy as Policy
from lengthwise.core.prediction import Prediction as Prediction
from lengthwise.core.request import Request as Request
from lengthwise.errors import UserError as UserError
from lengthwise.policies import make_policy as make_policy
from lengthwise.policies import register_policy as register_policy
from lengthwise.traces import read_workload as read_workload
from lengthwise.workload import Workload as Workload
from lengthwise.workload import synthetic as synthetic

__all__: list[str]
__version__: str
