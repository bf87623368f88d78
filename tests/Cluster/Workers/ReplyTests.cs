
namespace UPool.Cluster.Tests.Workers;

public sealed class ReplyTests
{
    [Theory]
    [InlineData(RefusalReason.Unavailable, ReplyStatus.Unavailable)]
    [InlineData(RefusalReason.TimedOut, ReplyStatus.Refused)]
    public void Refused_ByReason_TellsUnavailableFromBusy(RefusalReason reason, ReplyStatus status)
    {
        var reply = Reply.Refused<int>(reason);

        Assert.Equal(status, reply.Status);
        Assert.Equal(reason, reply.Refusal);
    }
}
