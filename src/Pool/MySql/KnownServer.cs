using Microsoft.Extensions.Logging;

namespace UPool.MySql;

/// <summary>What a process knows of the server that its sessions are with.</summary>
/// <param name="target">Where it is, for people.</param>
/// <param name="logger">Where to say what an operator should know.</param>
internal sealed partial class KnownServer(string target, ILogger logger)
{
    private readonly Lock _gate = new();
    private readonly ILogger _logger = logger;

    // Guarded by _gate.
    private string? _family;

    /// <summary>Takes in what a new session has found. What an operator should know of the server is said
    /// once.</summary>
    public void Note(SessionFacts facts)
    {
        lock (_gate)
        {
            if (_family == facts.Family.Name) return;

            _family = facts.Family.Name;
        }

        if (!facts.Family.WasTested) LogNotTested(target, facts.Family.Name);
        if (facts.Family.Blindness is { } blindness) LogBlind(target, blindness);
    }

    [LoggerMessage(1111, LogLevel.Warning,
        "{Target} is {Server}, a version that uPool was never run on. Run were MySQL 9.7, MariaDB 10.11 and "
        + "MariaDB 11.8.")]
    private partial void LogNotTested(string target, string server);

    [LoggerMessage(1112, LogLevel.Warning,
        "{Target} cannot say when a session is gone, so a permit may be used again before the server has dropped the "
        + "session it was for (INV-1). {Problem}")]
    private partial void LogBlind(string target, string problem);
}
