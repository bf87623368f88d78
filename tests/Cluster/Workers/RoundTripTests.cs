using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

/// <summary>Everything that crosses between processes, there and back.</summary>
public sealed class RoundTripTests
{
    private static readonly ServiceProvider Services = new ServiceCollection().AddSerializer().BuildServiceProvider();

    private static Serializer Serializer => Services.GetRequiredService<Serializer>();

    [Fact]
    public void Reply_EveryMember_Survives()
    {
        var reply = new Reply<string>
        {
            Status = ReplyStatus.Refused,
            Value = "value",
            Refusal = RefusalReason.PredictedLate,
            Detail = "detail",
        };

        Assert.Equal(reply, Cross(reply));
    }

    [Fact]
    public void Deadline_SomeTimeLeft_IsCountedAnew()
    {
        Assert.InRange(Cross(Deadline.After(TimeSpan.FromMinutes(2))).Remaining().TotalSeconds, 110, 120);
        Assert.True(Cross(Deadline.After(TimeSpan.Zero)).HasPassed());
        Assert.True(Cross(Deadline.None).IsNone);
    }

    [Fact]
    public void RentRefusedException_Crossing_KeepsReasonAndMessage()
    {
        var exception = (RentRefusedException)Cross<Exception>(
            new RentRefusedException(RefusalReason.NoPermits, "message", new InvalidOperationException("secret")));

        Assert.Equal(RefusalReason.NoPermits, exception.Reason);
        Assert.Equal("message", exception.Message);
        Assert.Null(exception.InnerException);
    }

    [Fact]
    public void DeadlineExceededException_Crossing_KeepsItsMessage() =>
        Assert.Equal("message", Assert.IsType<DeadlineExceededException>(
            Cross<Exception>(new DeadlineExceededException("message"))).Message);

    [Fact]
    public void ConnectionSeveredException_Crossing_KeepsItsMessage() =>
        Assert.Equal("message", Assert.IsType<ConnectionSeveredException>(
            Cross<Exception>(new ConnectionSeveredException("message"))).Message);

    [Fact]
    public void OutcomeUnknownException_Crossing_KeepsItsMessage() =>
        Assert.Equal("message", Assert.IsType<OutcomeUnknownException>(
            Cross<Exception>(new OutcomeUnknownException("message"))).Message);

    [Fact]
    public void WriteTicket_SerializedTwice_IsValidOnce()
    {
        WriteTicket ticket = NewTicket();

        WriteTicket first = Cross(ticket);
        WriteTicket second = Cross(ticket);

        Assert.False(second.TryUse());
        Assert.True(first.TryUse());
        Assert.False(first.TryUse());
    }

    [Fact]
    public void WriteTicket_Sent_CannotBeVoided()
    {
        WriteTicket ticket = NewTicket();
        Cross(ticket);

        Assert.False(ticket.TryVoid());
    }

    [Fact]
    public void WriteTicket_Voided_IsSentInvalid()
    {
        WriteTicket ticket = NewTicket();

        Assert.True(ticket.TryVoid());
        Assert.False(Cross(ticket).TryUse());
        Assert.True(ticket.TryVoid());
    }

    [Fact]
    public void WriteTicket_CopiedInOneProcess_IsTheSameTicket()
    {
        WriteTicket ticket = NewTicket();

        Assert.Same(ticket, Services.GetRequiredService<DeepCopier>().Copy<object>(ticket));
    }

    private static WriteTicket NewTicket() =>
        new WriteTicketConverter().ConvertFromSurrogate(new WriteTicketSurrogate { IsValid = true });

    private static T Cross<T>(T value) => Serializer.Deserialize<T>(Serializer.SerializeToArray(value))!;
}
