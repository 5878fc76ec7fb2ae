# Named points where the tests can break an activation. In a delivered script the body is empty.
fault() { @FAULT@; }
