"""What a learner does with a case: accuse, take hints, read the debrief."""
