using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Hosting;

/// <summary>Keeps what the health endpoints show. Problems are logged when they change, not at every attempt.</summary>
internal sealed partial class ProcessStatus(
    IHostApplicationLifetime lifetime, ILogger<ProcessStatus> logger, PooledDataSource? pool = null) : ISiloStatus
{
    private readonly Lock _gate = new();

    // Guarded by _gate: by place, so that one place that heals does not wipe out the trouble of another.
    private readonly SortedDictionary<string, string> _problems = new(StringComparer.Ordinal);

    private volatile bool _isStarted;

    public bool IsStarted => _isStarted;

    public bool IsStopping => lifetime.ApplicationStopping.IsCancellationRequested;

    public PoolHealth Health
    {
        get
        {
            lock (_gate)
            {
                if (_problems.Count > 0) return new PoolHealth(false, string.Join(" ", _problems.Values));
            }

            return pool?.Health ?? new PoolHealth(true, null);
        }
    }

    public void Started() => _isStarted = true;

    /// <summary>Says what ails at a place, or with null that nothing does any more.</summary>
    public void Report(string place, string? problem)
    {
        lock (_gate)
        {
            _problems.TryGetValue(place, out string? known);
            if (known == problem) return;

            if (problem is null)
            {
                _problems.Remove(place);
                LogHealed(place);
            }
            else
            {
                _problems[place] = problem;
                LogProblem(problem);
            }
        }
    }
}
