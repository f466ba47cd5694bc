"""`python -m tiktok_virality.app`: the command, where its script is not installed."""

from tiktok_virality.app.commands import main

if __name__ == "__main__":
    main(prog_name="tiktok-virality")
