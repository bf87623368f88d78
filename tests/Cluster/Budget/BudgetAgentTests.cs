using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using UPool.Cluster.Budget;
using UPool.Hosting;

namespace UPool.Cluster.Tests.Budget;

/// <summary>A client's agent; the test plays the coordinator.</summary>
public sealed class BudgetAgentTests : IAsyncDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ResendInterval = TimeSpan.FromSeconds(1);

    private readonly CoordinatorOfTest _coordinator = new();
    private readonly NotingClock _clock = new();
    private readonly ServiceProvider _services;
    private readonly ControlDatabase _control;
    private readonly BudgetAgent _agent;

    public BudgetAgentTests()
    {
        IGrainFactory grains = DispatchProxy.Create<IGrainFactory, GrainsOf>();
        ((GrainsOf)grains).Coordinator = _coordinator;
        _services = new ServiceCollection().AddSingleton(grains).BuildServiceProvider();
        IOptions<BudgetOptions> options = Options.Create(new BudgetOptions { ServerConnections = "100" });
        var identity = new DeploymentIdentity("cluster", "service");

        // Never used: no server listens at this address.
        var database = new DatabaseOptions { ControlConnectionString = "Server=127.0.0.1;Port=1;Database=none" };
        _control = new ControlDatabase(
            Options.Create(database), NullLoggerFactory.Instance, TimeProvider.System);
        var lifetime = new ApplicationLifetime(NullLogger<ApplicationLifetime>.Instance);
        _agent = new BudgetAgent(
            _services, identity, _control, options,
            new ProcessStatus(lifetime, NullLogger<ProcessStatus>.Instance), new LeaseHealth(_clock), _clock,
            NullLogger<BudgetAgent>.Instance);
    }

    [Fact]
    public async Task Renew_FirstMessageIsLost_ItsCopyGetsTheLease()
    {
        Task starting = _agent.StartAsync(TestContext.Current.CancellationToken);
        Sent first = await NextAsync();
        Sent second = await NextAfterAsync(ResendInterval);
        Assert.Same(first.Request, second.Request);

        second.Answer();
        await starting.WaitAsync(Patient, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Renew_AnswerIsLate_CountsThoughCopiesWereSent()
    {
        Task starting = _agent.StartAsync(TestContext.Current.CancellationToken);
        Sent first = await NextAsync();
        await NextAfterAsync(ResendInterval);

        first.Answer();
        await starting.WaitAsync(Patient, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Leave_FirstMessageIsLost_ItsCopyIsHeard()
    {
        Task starting = _agent.StartAsync(TestContext.Current.CancellationToken);
        Sent renewal = await NextAsync();
        await _clock.TimerIsSetAsync();
        renewal.Answer();
        await starting.WaitAsync(Patient, TestContext.Current.CancellationToken);

        Task leaving = _agent.LeaveAsync(TimeSpan.FromSeconds(5));
        Sent first = await NextAsync();
        Sent second = await NextAfterAsync(ResendInterval);
        Assert.True(second.Request.IsLeaving);
        Assert.Same(first.Request, second.Request);

        second.Answer();
        await leaving.WaitAsync(Patient, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Leave_NothingIsAnswered_EndsInTime()
    {
        Task starting = _agent.StartAsync(TestContext.Current.CancellationToken);
        Sent renewal = await NextAsync();
        await _clock.TimerIsSetAsync();
        renewal.Answer();
        await starting.WaitAsync(Patient, TestContext.Current.CancellationToken);

        Task leaving = _agent.LeaveAsync(2 * ResendInterval);
        await NextAsync();
        await NextAfterAsync(ResendInterval);
        Assert.False(leaving.IsCompleted);
        await _clock.AdvanceAsync(ResendInterval);
        await leaving.WaitAsync(Patient, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _agent.DisposeAsync();
        await _control.DisposeAsync();
        await _services.DisposeAsync();
    }

    private Task<Sent> NextAsync() =>
        _coordinator.Sent.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(Patient);

    /// <summary>The message that is sent after the clock has moved.</summary>
    private async Task<Sent> NextAfterAsync(TimeSpan time)
    {
        await _clock.AdvanceAsync(time);
        return await NextAsync();
    }

    /// <summary>A message and its reply.</summary>
    internal sealed class Sent(LeaseRequest request)
    {
        public LeaseRequest Request => request;

        public TaskCompletionSource<LeaseReply> Reply { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Answer() => Reply.SetResult(new LeaseReply
        {
            RequestSequence = request.Sequence,
            Status = LeaseStatus.Granted,
            Grant = 1,
            Duration = request.Settings.LeaseDuration,
            Grace = request.Settings.Grace,
            ServerConnections = request.Settings.ServerConnections,
        });
    }

    internal sealed class CoordinatorOfTest : IConnectionBudgetGrain
    {
        private readonly Channel<Sent> _sent = Channel.CreateUnbounded<Sent>();

        public ChannelReader<Sent> Sent => _sent.Reader;

        public Task<LeaseReply> Renew(LeaseRequest request)
        {
            var sent = new Sent(request);
            _sent.Writer.TryWrite(sent);
            return sent.Reply.Task;
        }

        public Task<BudgetView> View() => throw new NotSupportedException();
    }

    /// <summary>Returns the test's grain for every call.</summary>
    [SuppressMessage("Performance", "CA1852", Justification = "DispatchProxy derives from it at run time.")]
    internal class GrainsOf : DispatchProxy
    {
        public CoordinatorOfTest? Coordinator { get; set; }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => Coordinator;
    }

    /// <summary>Records timers, so that the clock moves only after the agent has set its next one: it sets one after
    /// each message.</summary>
    private sealed class NotingClock : FakeTimeProvider
    {
        private readonly Channel<bool> _set = Channel.CreateUnbounded<bool>();

        public override ITimer CreateTimer(
            TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            ITimer timer = base.CreateTimer(callback, state, dueTime, period);
            _set.Writer.TryWrite(true);
            return timer;
        }

        public Task<bool> TimerIsSetAsync() =>
            _set.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(Patient);

        public async Task AdvanceAsync(TimeSpan time)
        {
            await TimerIsSetAsync();
            Advance(time);
        }
    }
}
