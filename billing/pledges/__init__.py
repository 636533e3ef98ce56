"""The pledge (서약서): who signed which version when, until when it holds, and who has to sign."""
