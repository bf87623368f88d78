using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace UPool.Hosting;

/// <summary>Keeps the state for the health endpoints. Logs problems when they change, not at every attempt.</summary>
internal sealed partial class ProcessStatus(
    IHostApplicationLifetime lifetime, ILogger<ProcessStatus> logger, PooledDataSource? pool = null) : IProcessStatus
{
    private readonly Lock _gate = new();

    // Guarded by _gate. By place, so that the end of one problem does not clear that of another place.
    private readonly SortedDictionary<string, string> _problems = new(StringComparer.Ordinal);

    // Guarded by _gate. The last logged problem of each place.
    private readonly Dictionary<string, string?> _told = new(StringComparer.Ordinal);

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

    /// <summary>Reports the problem at a place, or its end.</summary>
    /// <param name="place">The place.</param>
    /// <param name="problem">The problem, without anything private, as health needs no key; null at its end.</param>
    /// <param name="detail">The text for the log instead: a server's message may name its host and the account.</param>
    public void Report(string place, string? problem, string? detail = null)
    {
        lock (_gate)
        {
            _problems.TryGetValue(place, out string? known);
            string? told = detail ?? problem;
            _told.TryGetValue(place, out string? knownTold);
            if (known == problem && knownTold == told) return;

            _told[place] = told;

            if (problem is null)
            {
                _problems.Remove(place);
                LogResolved(place);
            }
            else
            {
                _problems[place] = problem;
                LogProblem(told!);
            }
        }
    }
}
