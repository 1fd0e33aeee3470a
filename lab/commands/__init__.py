"""The commands of ``lab``, grouped by what they are about."""
