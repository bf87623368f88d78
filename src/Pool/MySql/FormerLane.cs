using UPool.Core;

namespace UPool.MySql;

/// <summary>
/// The kill lane's session with a server that was given up: as long as that server answers, it ends what the process
/// has left there, so that nothing stays behind (locks and rollbacks among it). It closes once nobody asks any more.
/// </summary>
internal sealed class FormerLane
{
    // Sessions that are rented during a switch-over are closed as they come back: most within this.
    private static readonly TimeSpan LingerTime = TimeSpan.FromMilliseconds(500);

    // A large rollback may take longer; what is left then is ended by nobody, as the server will have closed it.
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
    /// <param name="questions">What is asked about sessions of its server.</param>
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

    /// <summary>Asks one more question, when it is about a session of this server and there is still time.</summary>
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

    /// <summary>Asks no more.</summary>
    public void End() => _mustEnd = true;

    private async Task RunAsync()
    {
        try
        {
            // On a server that hangs a question may stay unanswered for ever.
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

            // Nobody can end a statement there any more. Its session is not used again in any case.
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
            // The server is gone, or whoever asked: then there is nothing to be ended here.
        }
    }

    private bool Settle(KillQuestion question)
    {
        question.Settle();
        return !_mustEnd;
    }
}
