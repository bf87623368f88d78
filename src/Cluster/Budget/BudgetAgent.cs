using System.Data.Common;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Workers;
using UPool.Hosting;

namespace UPool.Cluster.Budget;

/// <summary>
/// This process's part in the budget: it renews the lease, applies the permits to the pool in both directions at once,
/// and returns them when the process leaves. A client of the cluster has no pool; its lease reserves its place.
/// </summary>
/// <remarks>
/// The agent may run late, lose an answer or be stopped at any point. Safety does not depend on it: the pool checks the
/// end of the lease wherever a permit is used (INV-2). The agent only keeps the lease alive.
/// </remarks>
internal sealed partial class BudgetAgent : IAsyncDisposable
{
    /// <summary>The place under which the process reports that it has no lease.</summary>
    private const string Place = "Budget";

    // The poll interval during a shrink or a drain: the pool raises no event when a session is gone.
    private static readonly TimeSpan ShrinkPollInterval = TimeSpan.FromMilliseconds(50);

    // How often the server's max_connections is read again when the budget is "auto".
    private static readonly TimeSpan AutoInterval = TimeSpan.FromSeconds(10);

    private readonly IServiceProvider _services;
    private readonly DeploymentIdentity _identity;
    private readonly ControlDatabase _control;
    private readonly BudgetOptions _options;
    private readonly PooledDataSource? _pool;
    private readonly ProcessStatus _status;
    private readonly LeaseHealth _health;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _wanted = new(0, 1);
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _epoch;

    private LeaseHolder? _holder;
    private Task _loop = Task.CompletedTask;
    private TimeSpan _numberReadAt;
    private bool _wasHealthy = true;

    // The peak since the last request; the pool resets its own at every read.
    private int _peak;

    public BudgetAgent(
        IServiceProvider services,
        DeploymentIdentity identity,
        ControlDatabase control,
        IOptions<BudgetOptions> options,
        ProcessStatus status,
        LeaseHealth health,
        TimeProvider clock,
        ILogger<BudgetAgent> logger,
        PooledDataSource? pool = null)
    {
        _services = services;
        _identity = identity;
        _control = control;
        _options = options.Value;
        _pool = pool;
        _status = status;
        _health = health;
        _clock = clock;
        _logger = logger;
        _epoch = clock.GetTimestamp();
    }

    private TimeSpan Now => _clock.GetElapsedTime(_epoch);

    // Resolved on use: in a client the cluster itself depends on this agent, through its life cycle.
    private IConnectionBudgetGrain Coordinator => _services.GetRequiredService<IGrainFactory>()
        .GetGrain<IConnectionBudgetGrain>(_identity.CoordinatorKey);

    /// <summary>Starts renewing and waits for the first lease: in a silo one with permits, in a client any.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (_pool is not null) _pool.PermitsWanted += Wake;
        using (ExecutionContext.SuppressFlow()) _loop = Task.Run(RunAsync, CancellationToken.None);
        await _first.Task.WaitAsync(cancellationToken);
    }

    /// <summary>
    /// Returns the permits. To be called after the pool has drained. Does not throw if that fails: the lease then runs
    /// out.
    /// </summary>
    public async Task LeaveAsync(TimeSpan timeout)
    {
        await StopLoopAsync();
        if (_holder is not { } holder) return;

        holder.Leave();
        try
        {
            LeaseRequest request = holder.Ask(ReadFigures(), Now);
            await SendAsync(holder, request, timeout, CancellationToken.None);
        }
        catch (Exception exception)
        {
            LogPermitsNotReturned(exception.GetType().Name);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopLoopAsync();
        _stop.Dispose();
        _wanted.Dispose();
    }

    private async Task StopLoopAsync()
    {
        if (_pool is not null) _pool.PermitsWanted -= Wake;
        await _stop.CancelAsync();
        await _loop;
    }

    private async Task RunAsync()
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                try
                {
                    await StepAsync();
                }
                catch (Exception exception) when (!_stop.IsCancellationRequested)
                {
                    // Catch everything: if this loop ended, the lease would run out and the silo with it.
                    LogStepFailed(exception);
                    await Task.Delay(LeaseHolder.MaxPauseWhileWaiting, _clock, _stop.Token);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    /// <summary>Waits until the next request is due, or sends it.</summary>
    private async Task StepAsync()
    {
        await RefreshNumberAsync();
        LeaseHolder holder = _holder!;
        NoteRestart(holder);
        LeaseFigures figures = ReadFigures();
        TimeSpan wait = holder.NextAskAt(figures) - Now;
        if (wait > TimeSpan.Zero)
        {
            bool isShrinking = figures.Sessions > holder.PermitsAt(Now);
            if (isShrinking && wait > ShrinkPollInterval) wait = ShrinkPollInterval;
            await _wanted.WaitAsync(wait, _stop.Token);
            return;
        }

        LeaseRequest request = holder.Ask(ReadFigures(), Now);
        _peak = 0;
        try
        {
            LeaseReply reply = await SendAsync(holder, request, holder.RequestTimeout, _stop.Token);
            if (holder.Accept(reply, Now) is { } terms) Apply(holder, terms, reply);
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !_stop.IsCancellationRequested)
        {
            holder.MarkFailed(request.Sequence, Now);
            Tell(holder, Describe(exception));
        }
    }

    /// <summary>Sends a request, and copies of it while no answer comes. The first answer or failure of any copy
    /// decides, so a lost message costs the lease at most <see cref="LeaseHolder.ResendInterval"/>.</summary>
    private async Task<LeaseReply> SendAsync(
        LeaseHolder holder, LeaseRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        TimeSpan deadline = Now + timeout;
        var calls = new List<Task<LeaseReply>>();
        while (true)
        {
            Task<LeaseReply> call = Coordinator.Renew(request);
            call.Ignore();
            calls.Add(call);
            Task<Task<LeaseReply>> first = Task.WhenAny(calls);
            TimeSpan left = deadline - Now;
            if (left > holder.ResendInterval) left = holder.ResendInterval;
            try
            {
                // WhenAny never fails, so a timeout is that of this wait and not of a call.
                await first.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _clock, cancellationToken);
            }
            catch (TimeoutException) when (Now < deadline)
            {
                continue;
            }

            return await await first;
        }
    }

    private void Apply(LeaseHolder holder, LeaseTerms terms, LeaseReply reply)
    {
        if (_pool is not null && reply.IsLease)
            _pool.Lease = new PoolLease(terms.Permits, terms.Grant, Timestamp(terms.End), Timestamp(terms.CutOff));
        holder.MarkApplied(terms);
        string? problem = reply.Status switch
        {
            LeaseStatus.TooMany => _pool is null
                ? $"The deployment has UPool:Budget:MaxClients clients already ({holder.Settings.MaxClients})."
                : $"The deployment has UPool:Budget:MaxSilos silos already ({holder.Settings.MaxSilos}).",
            LeaseStatus.Reclaiming => "The lease ran out; its sessions are being ended.",
            LeaseStatus.Invalid => "The coordinator refuses this process's requests: it may be of another version.",
            LeaseStatus.Learning when terms.Permits == 0 =>
                "The coordinator has just taken over and gives nothing yet.",
            _ when _pool is not null && terms.Permits == 0 => "The budget has no permits left for this silo.",
            _ => null,
        };
        Tell(holder, problem);
        if (reply.IsLease && (_pool is null || terms.Permits > 0) && _first.TrySetResult()) Welcome(holder, reply);
    }

    /// <summary>Logs the sum of the budget, and checks the account's limit.</summary>
    private void Welcome(LeaseHolder holder, LeaseReply reply)
    {
        LogSum(BudgetSum.Of(holder.Settings with { ServerConnections = reply.ServerConnections }).ToString());
        if (_pool is not null) CheckFenceAsync(_pool, BudgetSum.Of(holder.Settings)).Ignore();
    }

    /// <summary>Checks whether the server limits the pools' account, as is recommended for production.</summary>
    private async Task CheckFenceAsync(PooledDataSource pool, BudgetSum sum)
    {
        try
        {
            await using DbConnection connection = await pool.OpenConnectionAsync(_stop.Token);
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = "SELECT @@max_user_connections";
            long limit = Convert.ToInt64(await command.ExecuteScalarAsync(_stop.Token), CultureInfo.InvariantCulture);
            if (limit == 0) LogNoFence(sum.Shared);
            else if (limit < sum.Shared) LogFenceTooLow(limit, sum.Shared);
        }
        catch (Exception exception) when (exception is DbException or OperationCanceledException)
        {
            // The check is only advice, and a missing connection is reported elsewhere.
        }
    }

    private void Tell(LeaseHolder holder, string? problem)
    {
        // A single late answer is not reported while the lease still gives permits.
        bool isNews = problem is null || holder.PermitsAt(Now) == 0;
        _health.Set(Timestamp(holder.Terms.End), isNews ? problem : null);
        _status.Report(Place, isNews ? problem : null);
    }

    private LeaseFigures ReadFigures()
    {
        if (_pool is null) return default;

        LeaseUse use = _pool.ReadLeaseUse();
        return new LeaseFigures
        {
            Opening = use.Opening,
            Idle = use.Idle,
            Used = use.Used,
            Closing = use.Closing,
            Pending = use.Pending,
            Peak = _peak = Math.Max(_peak, use.Peak),
        };
    }

    /// <summary>Notes a restart: the server has no old sessions, so the coordinator need not wait for any.</summary>
    private void NoteRestart(LeaseHolder holder)
    {
        bool isHealthy = _control.Connections.Health.IsHealthy;
        if (isHealthy && !_wasHealthy) holder.MarkRestarted();
        _wasHealthy = isHealthy;
    }

    private async Task RefreshNumberAsync()
    {
        if (_holder is { } known && (!_options.IsAuto || Now - _numberReadAt < AutoInterval)) return;

        int number;
        try
        {
            number = _options.Number ?? await ReadServerNumberAsync();
        }
        catch (DbException) when (_holder is not null)
        {
            // Keep the last known number until the server answers again.
            _numberReadAt = Now;
            return;
        }

        _numberReadAt = Now;
        var settings = _options.ToSettings(number);
        if (_holder is { } holder) holder.Settings = settings;
        else
        {
            _holder = new LeaseHolder(
                _identity.Incarnation, _pool is null ? LeaseRole.Client : LeaseRole.Silo,
                _pool?.MaxConnections ?? 0, settings, Random.Shared, _options.Weight);
        }
    }

    private async Task<int> ReadServerNumberAsync()
    {
        await using DbConnection connection = await _control.Storage.OpenConnectionAsync(_stop.Token);
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = "SELECT @@max_connections";
        return _options.NumberOn(
            Convert.ToInt32(await command.ExecuteScalarAsync(_stop.Token), CultureInfo.InvariantCulture));
    }

    private string Describe(Exception exception) => exception switch
    {
        DbException => _control.Describe(exception),
        BudgetUnavailableException => exception.Message,
        _ when WorkerFailures.IsLost(exception) => "The coordinator of the budget does not answer.",
        _ => $"The coordinator of the budget failed ({exception.GetType().Name}).",
    };

    private long Timestamp(TimeSpan time) => _epoch + (long)(time.TotalSeconds * _clock.TimestampFrequency);

    private void Wake()
    {
        try
        {
            if (_wanted.CurrentCount == 0) _wanted.Release();
        }
        catch (SemaphoreFullException)
        {
            // Two wakes at once: the loop is already awake.
        }
        catch (ObjectDisposedException)
        {
            // A rent during the stop.
        }
    }

    [LoggerMessage(2801, LogLevel.Warning,
        "The permits could not be returned ({What}); they are free after the lease and its grace.")]
    private partial void LogPermitsNotReturned(string what);

    [LoggerMessage(2802, LogLevel.Information, "The connection budget. {Sum}")]
    private partial void LogSum(string sum);

    [LoggerMessage(2803, LogLevel.Information,
        "The server does not bound the pools' account. For production give it MAX_USER_CONNECTIONS {Shared}, and the "
        + "control connections another account.")]
    private partial void LogNoFence(int shared);

    [LoggerMessage(2804, LogLevel.Warning,
        "The server allows the pools' account {Limit} connections, and the pools share {Shared}: the rest of the "
        + "budget cannot be used. Raise the account's MAX_USER_CONNECTIONS.")]
    private partial void LogFenceTooLow(long limit, int shared);

    [LoggerMessage(2899, LogLevel.Error, "bug: a step of the budget's agent failed.")]
    private partial void LogStepFailed(Exception exception);
}
