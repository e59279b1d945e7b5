"""What the services need of the outside: protocols that adapters and fakes implement."""
