using System.Data.Common;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Concurrency;
using UPool.Cluster.Membership;
using UPool.Hosting;
using UPool.MySql;

namespace UPool.Cluster.Budget;

/// <summary>
/// The coordinator: gives requests to the ledger in batches, writes it, and only then answers; asks the server about
/// those whose lease and grace are over. Everything that is decided is decided by <see cref="Ledger"/>.
/// </summary>
/// <remarks>
/// Two activations may exist for a moment. Each answers only after a write that nobody else has overtaken, so the older
/// one answers nobody any more (INV-2). Reentrant, so that requests gather while a write is under way.
/// </remarks>
[Reentrant]
[KeepAlive]
internal sealed partial class ConnectionBudgetGrain(
    [PersistentState("upoolBudget", UPoolClusterOptions.StorageName)] IPersistentState<LedgerState> storage,
    DeploymentIdentity identity,
    ControlDatabase control,
    IOptions<BudgetOptions> options,
    BudgetTelemetry telemetry,
    TimeProvider clock,
    ILogger<ConnectionBudgetGrain> logger) : Grain, IConnectionBudgetGrain
{
    // How long the first request of a batch waits for others: one write then serves all of them. A twentieth of the
    // default interval, which nobody notices.
    private static readonly TimeSpan GatherInterval = TimeSpan.FromMilliseconds(50);

    // How often the ledger is asked whose grace is over. Looking costs nothing while there is nobody.
    private static readonly TimeSpan TendInterval = TimeSpan.FromMilliseconds(500);

    // How often the server is asked for sessions of nobody; and while a process has left, whose place somebody may wait
    // for, whether its control connections are gone too.
    private static readonly TimeSpan ObserveInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LeftInterval = TimeSpan.FromSeconds(1);

    private readonly long _epoch = clock.GetTimestamp();
    private readonly RenewalQueue _waiting = new();
    private readonly string _writer = Guid.NewGuid().ToString("N");

    private Ledger? _ledger;
    private LedgerBatch? _unresolved;
    private bool _isWriting;
    private bool _isTending;
    private bool _mustObserve;
    private TimeSpan _observedAt;
    private Task _looking = Task.CompletedTask;
    private Task _ending = Task.CompletedTask;
    private string? _problem;

    private TimeSpan Now => clock.GetElapsedTime(_epoch);

    private Ledger Ledger => _ledger ?? throw new InvalidOperationException("bug: the ledger was asked too early.");

    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        ServerLook look = await control.Connections.LookAsync(cancellationToken);
        BudgetSettings settings = options.Value.ToSettings(options.Value.NumberOn(look.MaxConnections));
        _ledger = new Ledger(storage.State, _writer, LifeOf(look), settings, Now);
        _mustObserve = true;
        this.RegisterGrainTimer(static (grain, _) => grain.TendAsync(), this, new GrainTimerCreationOptions
        {
            DueTime = TimeSpan.Zero,
            Period = TendInterval,
            Interleave = true,
            KeepAlive = true,
        });
        LogTakenOver(storage.State.Records.Length, storage.State.Revision);
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        telemetry.Clear();
        Fail("The coordinator of the budget moves.");
        return Task.CompletedTask;
    }

    public Task<LeaseReply> Renew(LeaseRequest request)
    {
        Task<LeaseReply> reply = _waiting.Add(request);
        if (request.SawRestart) _mustObserve = true;
        if (!_isWriting && _waiting.Count > 0)
        {
            _isWriting = true;
            WriteAllAsync().Ignore();
        }

        return reply;
    }

    public Task<BudgetView> View() => Task.FromResult(Ledger.View(Now));

    /// <summary>Writes and answers until nobody waits.</summary>
    private async Task WriteAllAsync()
    {
        try
        {
            while (_waiting.Count > 0)
            {
                await Task.Delay(GatherInterval, clock);
                if (_mustObserve) await ObserveAsync([]);
                IReadOnlyList<RenewalQueue.Renewal> gathered = _waiting.Take();
                if (await TryResolveAsync()) await WriteAsync(gathered);
                else Fail(gathered, _problem!);
            }
        }
        finally
        {
            _isWriting = false;
        }
    }

    private async Task WriteAsync(IReadOnlyList<RenewalQueue.Renewal> gathered)
    {
        LedgerBatch batch = Ledger.Apply([.. gathered.Select(static waiting => waiting.Request)], Now);
        storage.State = batch.State;
        try
        {
            await storage.WriteStateAsync();
        }
        catch (Exception exception)
        {
            // Whether it was written is not known, not even after a conflict: what the conflict is with may be our own.
            _unresolved = batch;
            _problem = Describe(exception);
            LogNotWritten(_problem);
            Fail(gathered, _problem);
            return;
        }

        IReadOnlyList<LeaseReply> replies = Ledger.Commit(batch, Now);
        for (int at = 0; at < gathered.Count; at++) gathered[at].Reply.TrySetResult(replies[at]);
        telemetry.Show(Ledger.View(Now));
    }

    /// <summary>Finds out what became of a write whose outcome is unknown. False while that cannot be known; nobody is
    /// answered until then.</summary>
    private async Task<bool> TryResolveAsync()
    {
        if (_unresolved is not { } batch) return true;

        try
        {
            await storage.ReadStateAsync();
        }
        catch (Exception exception)
        {
            _problem = Describe(exception);
            return false;
        }

        if (Ledger.TryResume(batch, storage.State))
        {
            _unresolved = null;
            return true;
        }

        // Another activation has written: this one has nothing more to say.
        _problem = "Another coordinator of the budget has taken over.";
        LogOvertaken();
        DeactivateOnIdle();
        return false;
    }

    /// <summary>Asks the server about those whose grace is over, and now and then about sessions of nobody.</summary>
    private async Task TendAsync()
    {
        if (_isTending || _unresolved is not null) return;

        _isTending = true;
        try
        {
            IReadOnlyList<string> reclaims = Ledger.Reclaims(Now);
            bool hasLeft = Ledger.State.Records.Any(static record => record.HasLeft);
            bool isDue = Now - _observedAt >= (hasLeft ? LeftInterval : ObserveInterval);
            if (reclaims.Count > 0 || _mustObserve || isDue || Ledger.WantsLook(Now)) await ObserveAsync(reclaims);
        }
        finally
        {
            _isTending = false;
        }
    }

    private async Task ObserveAsync(IReadOnlyList<string> reclaims)
    {
        // One at a time: an older look taken in after a newer one would bring back what is over.
        while (!_looking.IsCompleted) await _looking;
        await (_looking = LookAsync(reclaims));
    }

    private async Task LookAsync(IReadOnlyList<string> reclaims)
    {
        // Taken back before the question: whoever wants a look meanwhile wants another one.
        bool isWanted = _mustObserve;
        _mustObserve = false;
        TimeSpan askedAt = Now;
        ServerLook look;
        try
        {
            // Opens that a frozen server has yet to accept are seen only by a session that came after them.
            look = reclaims.Count > 0
                ? await control.Connections.FreshLookAsync()
                : await control.Connections.LookAsync();
        }
        catch (Exception exception)
        {
            // Nothing is known, so nothing is given away; asked again at the next turn.
            _mustObserve |= isWanted;
            if (reclaims.Count > 0) LogCannotLook(Describe(exception));
            return;
        }

        _observedAt = askedAt;
        DeploymentSession[] sessions = [.. look.Sessions.Where(
            session => session.Incarnation is null || identity.Owns(session.Incarnation))];
        List<DeploymentSession> ending = [.. Ledger.Observe(sessions, LifeOf(look), askedAt)];
        foreach (string incarnation in reclaims)
        {
            DeploymentSession[] left = [.. sessions.Where(session => session.Incarnation == incarnation)];
            if (left.Length > 0) ending.AddRange(left);
            else if (look.IsSettled)
            {
                Ledger.ReportGone(incarnation);
                LogReclaimed(incarnation);
            }
        }

        // Never gives up by itself; while it asks about these, there is no use in asking again.
        if (ending.Count == 0 || !_ending.IsCompleted) return;

        LogEnding(ending.Count);
        _ending = control.Connections.EndAsync(ending);
        _ending.Ignore();
    }

    private static ServerLife LifeOf(ServerLook look) => new(look.ServerStart, look.Uptime, look.Server);

    private string Describe(Exception exception) => exception switch
    {
        DbException => control.Describe(exception),
        { InnerException: DbException inner } => control.Describe(inner),
        _ => $"The ledger of the budget could not be written ({exception.GetType().Name}).",
    };

    private void Fail(string problem) => Fail(_waiting.Take(), problem);

    private static void Fail(IReadOnlyList<RenewalQueue.Renewal> gathered, string problem)
    {
        foreach (RenewalQueue.Renewal waiting in gathered)
            waiting.Reply.TrySetException(new BudgetUnavailableException(problem));
    }

    [LoggerMessage(2811, LogLevel.Information,
        "The coordinator of the connection budget starts here: {Leases} leases on record, revision {Revision}.")]
    private partial void LogTakenOver(int leases, long revision);

    [LoggerMessage(2812, LogLevel.Warning, "The ledger of the budget was not written; nobody was answered. {Problem}")]
    private partial void LogNotWritten(string problem);

    [LoggerMessage(2813, LogLevel.Information, "Another coordinator of the budget has taken over; this one ends.")]
    private partial void LogOvertaken();

    [LoggerMessage(2814, LogLevel.Warning,
        "The server cannot be asked whether sessions of dead processes are gone; their permits are held. {Problem}")]
    private partial void LogCannotLook(string problem);

    [LoggerMessage(2815, LogLevel.Information, "Ending {Count} sessions that no live process owns.")]
    private partial void LogEnding(int count);

    [LoggerMessage(2816, LogLevel.Information,
        "The permits of {Incarnation} are free: its lease and grace are over, and the server knows none of its "
        + "sessions.")]
    private partial void LogReclaimed(string incarnation);
}
