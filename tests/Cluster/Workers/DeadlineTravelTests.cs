using Microsoft.Extensions.DependencyInjection;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

public sealed class DeadlineTravelTests
{
    [Fact]
    public async Task Deadline_ThroughAGateway_ArrivesAsTheTimeThatIsLeft()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        Deadline seen = default;
        cluster.Board.OnAsk = (_, silo, deadline, _) =>
        {
            seen = deadline;
            return Task.FromResult(Reply.Ok(silo));
        };

        await cluster.AskAsync(Deadline.After(TimeSpan.FromSeconds(20)));
        Assert.InRange(seen.Remaining().TotalSeconds, 15, 20);

        await cluster.AskAsync();
        Assert.InRange(seen.Remaining().TotalSeconds, 50, 60);
    }

    [Fact]
    public async Task Deadline_InsideASilo_IsPassedOnUnchanged()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        Deadline seen = default;
        cluster.Board.OnAsk = (_, silo, deadline, _) =>
        {
            seen = deadline;
            return Task.FromResult(Reply.Ok(silo));
        };
        var inside = cluster.Silos.GetSiloServiceProvider().GetRequiredService<WorkerClient<IProbeGrain>>();
        Deadline sent = Deadline.After(TimeSpan.FromSeconds(20));

        Reply<string> reply = await inside.ReadAsync<string>(
            static (grain, due, t) => grain.Ask(due, t), sent, default);

        Assert.Equal(ReplyStatus.Ok, reply.Status);
        Assert.Equal(sent, seen);
    }

    [Fact]
    public async Task ReadAsync_InsideASilo_EndsAtItsDeadlineAndIsAskedOnce()
    {
        await using ProbeCluster cluster = await ProbeCluster.StartAsync(1);
        var end = new TaskCompletionSource<Reply<string>>();
        cluster.Board.OnAsk = (_, _, _, _) => end.Task;
        var inside = cluster.Silos.GetSiloServiceProvider().GetRequiredService<WorkerClient<IProbeGrain>>();

        Reply<string> reply = await inside.ReadAsync<string>(
            static (grain, due, t) => grain.Ask(due, t), Deadline.After(TimeSpan.FromSeconds(2)), default);

        Assert.Equal(ReplyStatus.DeadlineExceeded, reply.Status);
        Assert.Equal(1, cluster.Board.Asked);
        end.SetResult(Reply.Ok("late"));
    }
}
