"""How each thing is stored in Firestore, and read back."""
