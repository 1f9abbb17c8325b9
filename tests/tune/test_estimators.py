import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.datasets import load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import tinygrad_edu as tg
from tinygrad_edu.tune import Autoencoder, Classifier, Regressor

# Skipped where a library that scikit-learn would test with is not installed; nothing is expected to fail.
OPTIONAL = {"check_array_api_input"}


@pytest.mark.parametrize("estimator", [Classifier(), Regressor(), Autoencoder()], ids=lambda e: type(e).__name__)
@pytest.mark.filterwarnings("default")
def test_scikit_learns_own_checks(estimator):
    checks = check_estimator(estimator, expected_failed_checks={}, on_fail=None, on_skip=None)
    assert len(checks) > 40
    for check in checks:
        if check["status"] == "skipped":
            assert "pandas" in str(check["exception"]) or check["check_name"] in OPTIONAL
        else:
            assert check["status"] == "passed", (check["check_name"], check["exception"])


def test_three_lines():
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0, test_size=0.3)
    names = np.array([f"digit {i}" for i in range(10)])
    state = tg.default_generator.get_state()
    classifier = Classifier(random_state=0, epochs=30, dtype="float32").fit(X, names[y])
    assert tg.default_generator.get_state() == state
    assert classifier.score(X_test, names[y_test]) > 0.95
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X_test), classifier.predict_proba(X_test))
    assert classifier.predict_proba(X_test).sum(1) == pytest.approx(1)
    same = Classifier(random_state=0, epochs=30, dtype="float32").fit(X, names[y])
    np.testing.assert_array_equal(same.predict_proba(X_test), classifier.predict_proba(X_test))


def test_regression_reaches_the_closed_form():
    X, y = load_diabetes(return_X_y=True)
    linear = Regressor(hidden=(), random_state=0, epochs=1500, batch_size=442).fit(X, y)
    assert linear.score(X, y) == pytest.approx(LinearRegression().fit(X, y).score(X, y), abs=1e-3)
    stopped = Regressor(random_state=0, patience=3, epochs=500).fit(X, y)
    assert stopped.n_iter_ < 500


def test_a_linear_autoencoder_spans_the_principal_components():
    X, _ = load_digits(return_X_y=True)
    scaled = StandardScaler().fit_transform(X)
    pca = PCA(8).fit(scaled)
    best = ((pca.inverse_transform(pca.transform(scaled)) - scaled) ** 2).mean()
    auto = Autoencoder(code=8, epochs=150, random_state=0).fit(scaled)
    assert best <= auto.reconstruction_error(scaled) <= best * 1.02
    assert auto.transform(scaled).shape == (len(X), 8)
    assert list(auto.get_feature_names_out()) == [f"autoencoder{i}" for i in range(8)]


def test_it_works_in_a_pipeline_and_a_search_on_a_dev_set():
    X, y = load_digits(return_X_y=True)
    fold = np.where(np.arange(len(X)) % 3 == 0, 0, -1)  # every third row is dev
    pipeline = make_pipeline(StandardScaler(), Classifier(random_state=0, epochs=5))
    search = GridSearchCV(pipeline, {"classifier__hidden": [(2,), (32,)]}, cv=PredefinedSplit(fold), refit=False)
    search.fit(X, y)
    assert search.best_params_ == {"classifier__hidden": (32,)}
