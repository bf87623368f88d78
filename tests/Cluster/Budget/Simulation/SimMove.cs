namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>A move of the load to one silo, and what was lost meanwhile: permits that could have been at work there, by
/// the time for which they were not.</summary>
/// <param name="permits">As many moved.</param>
internal sealed class SimMove(int permits)
{
    private double _ungranted;
    private double _unused;

    public int Permits => permits;

    /// <summary>Permit-seconds for each permit that moved, until the silo had it.</summary>
    public double LossUntilGranted => _ungranted / permits;

    /// <summary>The same until it was in use: with what one open after the other takes.</summary>
    public double LossUntilUsed => _unused / permits;

    public void Note(int ungranted, int unused, long duration)
    {
        _ungranted += ungranted * (duration / 1e6);
        _unused += unused * (duration / 1e6);
    }
}
