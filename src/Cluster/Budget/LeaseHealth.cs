namespace UPool.Cluster.Budget;

/// <summary>The state of this silo's lease, for reports. Without a budget there is no lease and no problem.</summary>
internal sealed class LeaseHealth(TimeProvider clock)
{
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private long? _end;
    private string? _problem;

    /// <summary>How long the lease still lasts; zero once it is over, null without a budget.</summary>
    public TimeSpan? Left
    {
        get
        {
            lock (_gate)
            {
                if (_end is not { } end) return null;

                TimeSpan left = clock.GetElapsedTime(clock.GetTimestamp(), end);
                return left > TimeSpan.Zero ? left : TimeSpan.Zero;
            }
        }
    }

    /// <summary>Why there are no permits, or fewer than there should be; null if there is no problem.</summary>
    public string? Problem
    {
        get
        {
            lock (_gate) return _problem;
        }
    }

    /// <summary>Sets the end of the lease, as a timestamp of the clock, and the problem.</summary>
    public void Set(long end, string? problem)
    {
        lock (_gate)
        {
            _end = end;
            _problem = problem;
        }
    }
}
