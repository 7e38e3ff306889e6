"""What each actor does with a message: decide (domain), commit (journal), then remember."""
