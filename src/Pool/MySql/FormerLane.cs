using UPool.Core;

namespace UPool.MySql;

/// <summary>
/// The kill lane's session with a server that was given up. As long as that server answers, it ends the process's
/// sessions there, so that no locks and no unfinished rollbacks stay behind. It closes when no questions are left.
/// </summary>
internal sealed class FormerLane
{
    // Sessions that are rented during a switch-over are closed when they are returned; most return within this time.
    private static readonly TimeSpan LingerTime = TimeSpan.FromMilliseconds(500);

    // A large rollback may take longer. Sessions left after that are not ended from here: the server will have closed
    // them.
    private static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(10);

    private readonly ControlSession _session;
    private readonly TimeProvider _clock;
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private readonly List<KillQuestion> _questions = [];
    private bool _hasEnded;

    private volatile bool _mustEnd;

    /// <param name="session">The session; it is closed at the end.</param>
    /// <param name="questions">The questions about sessions of its server.</param>
    /// <param name="clock">The clock.</param>
    public FormerLane(ControlSession session, IEnumerable<KillQuestion> questions, TimeProvider clock)
    {
        _session = session;
        _clock = clock;
        _questions.AddRange(questions);
        Ended = RunAsync();
    }

    /// <summary>Completes when the session is closed.</summary>
    public Task Ended { get; }

    /// <summary>Adds a question if it is about a session of this server and the lane has not ended.</summary>
    public bool TryAdd(KillQuestion question)
    {
        if (question.Session.Server.Name != _session.Server.Name) return false;

        lock (_gate)
        {
            if (_hasEnded) return false;

            _questions.Add(question);
            return true;
        }
    }

    /// <summary>Stops asking.</summary>
    public void End() => _mustEnd = true;

    private async Task RunAsync()
    {
        try
        {
            // On a server that hangs, a question may never be answered.
            await AskAllAsync().EndsWithinAsync(MaxTime, _clock).ConfigureAwait(false);
        }
        finally
        {
            KillQuestion[] left;
            lock (_gate)
            {
                _hasEnded = true;
                left = [.. _questions];
            }

            // No connection is left to end a statement over. The statement's session is not used again in any case.
            foreach (KillQuestion question in left.Where(static one => !one.UntilGone)) question.Settle();
            await _session.CloseAsync(PollInterval, _clock).ConfigureAwait(false);
        }
    }

    private async Task AskAllAsync()
    {
        try
        {
            long askedAt = _clock.GetTimestamp();
            while (!_mustEnd)
            {
                KillQuestion[] questions;
                lock (_gate)
                {
                    _questions.RemoveAll(static question => question.Task.IsCompleted);
                    questions = [.. _questions];
                }

                if (questions.Length > 0)
                {
                    askedAt = _clock.GetTimestamp();
                    await _session.AskAsync(questions, Settle).ConfigureAwait(false);
                }
                else if (_clock.GetElapsedTime(askedAt) > LingerTime)
                {
                    return;
                }

                await Task.Delay(PollInterval, _clock).ConfigureAwait(false);
            }
        }
        catch (Exception)
        {
            // The server or this session is gone, so this lane can end nothing more.
        }
    }

    private bool Settle(KillQuestion question)
    {
        question.Settle();
        return !_mustEnd;
    }
}
