namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>A move of the load to one silo and its loss: the permits that could have worked there, times the time for
/// which they did not.</summary>
/// <param name="permits">The number of permits that moved.</param>
internal sealed class SimMove(int permits)
{
    private double _ungranted;
    private double _unused;

    public int Permits => permits;

    /// <summary>Permit-seconds lost for each moved permit until the silo was granted it.</summary>
    public double LossUntilGranted => _ungranted / permits;

    /// <summary>The same, until the permit was in use; includes opening one connection after the other.</summary>
    public double LossUntilUsed => _unused / permits;

    public void Note(int ungranted, int unused, long duration)
    {
        _ungranted += ungranted * (duration / 1e6);
        _unused += unused * (duration / 1e6);
    }
}
