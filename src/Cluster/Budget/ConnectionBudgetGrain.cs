using System.Data.Common;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Concurrency;
using UPool.Cluster.Membership;
using UPool.Hosting;
using UPool.MySql;

namespace UPool.Cluster.Budget;

/// <summary>
/// The coordinator. It passes requests to the ledger in batches, writes the ledger and only then answers, and asks the
/// server about incarnations whose lease and grace are over. <see cref="Ledger"/> makes all decisions.
/// </summary>
/// <remarks>
/// Two activations may exist for a moment. Each answers only after a write that no other activation has overtaken, so
/// the older one can answer no more requests (INV-2). Reentrant, so that requests gather during a write.
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
    // How long the first request of a batch waits for others, so that one write serves them all. A twentieth of the
    // default renewal interval: too short to be noticed.
    private static readonly TimeSpan GatherInterval = TimeSpan.FromMilliseconds(50);

    // How often the ledger is asked whose grace is over; cheap if there is none.
    private static readonly TimeSpan TendInterval = TimeSpan.FromMilliseconds(500);

    // How often the server is asked for sessions of no recorded incarnation. More often after a process has left:
    // another may wait for its place, which is free once its control connections are gone.
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

    /// <summary>Writes and answers until no request waits.</summary>
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
            // The outcome is unknown, even after a conflict: the conflicting write may be our own.
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

    /// <summary>Finds out the outcome of a write that is unknown. False while it stays unknown; no request is answered
    /// until then.</summary>
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

        // Another activation has written, so this one can answer no more requests.
        _problem = "Another coordinator of the budget has taken over.";
        LogOvertaken();
        DeactivateOnIdle();
        return false;
    }

    /// <summary>Asks the server about incarnations whose grace is over, and at intervals about sessions of no recorded
    /// incarnation.</summary>
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
        // One look at a time: an older result applied after a newer one would bring back sessions that are gone.
        while (!_looking.IsCompleted) await _looking;
        await (_looking = LookAsync(reclaims));
    }

    private async Task LookAsync(IReadOnlyList<string> reclaims)
    {
        // Reset before the look: a request for a look that arrives during it needs another one.
        bool isWanted = _mustObserve;
        _mustObserve = false;
        TimeSpan askedAt = Now;
        ServerLook look;
        try
        {
            // Opens that a frozen server has not accepted yet are seen only by a session opened after them.
            look = reclaims.Count > 0
                ? await control.Connections.FreshLookAsync()
                : await control.Connections.LookAsync();
        }
        catch (Exception exception)
        {
            // Nothing is known, so no permit is freed; the next turn asks again.
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

        // EndAsync never gives up: while it works on earlier sessions, a second call is useless.
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
