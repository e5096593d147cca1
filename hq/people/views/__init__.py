"""The pages about people, by subject; logging in is `hq.people.login`."""
