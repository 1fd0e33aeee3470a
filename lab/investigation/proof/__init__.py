"""Whether a case is fair: findings about its truth, its symptom and its decoys."""
