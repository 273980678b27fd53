"""Files of new rows, answered by the predictor of a Bento in this process, a part at a time."""
