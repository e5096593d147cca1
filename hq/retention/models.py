"""Records of schedules, holds, destruction."""
