"""What clients say: messages, sessions, SDP, and the one web application that carries them."""
