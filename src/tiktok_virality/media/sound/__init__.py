"""What can be measured of a sound: levels, spectrum, pitch, harmony and rhythm, token by token."""
