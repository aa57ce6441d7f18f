"""Models of scikit-learn, XGBoost and LightGBM as learners."""
