using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

/// <summary>A round trip of every type that crosses processes.</summary>
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
    public void TransactionEndedException_Crossing_KeepsWhatItSays()
    {
        var ended = Assert.IsType<TransactionEndedException>(
            Cross<Exception>(new TransactionEndedException("message", mayHaveCommitted: true)));
        Assert.Equal(("message", true), (ended.Message, ended.MayHaveCommitted));
    }

    [Fact]
    public void WriteTicket_MessageSerializedTwice_IsValidOnce()
    {
        WriteTicket message = MessageOf(NewTicket());

        WriteTicket first = Cross(message);
        WriteTicket second = Cross(message);

        Assert.False(second.Admits());
        Assert.True(first.Admits());
    }

    [Fact]
    public void WriteTicket_Admitted_AdmitsEveryWriteOfTheCall()
    {
        WriteTicket arrived = Cross(MessageOf(NewTicket()));

        Assert.All(Enumerable.Range(0, 3), _ => Assert.True(arrived.Admits()));
    }

    [Fact]
    public void WriteTicket_SecondCopy_AdmitsNoWriteOfTheCall()
    {
        WriteTicket message = MessageOf(NewTicket());
        Cross(message);
        WriteTicket second = Cross(message);

        Assert.All(Enumerable.Range(0, 3), _ => Assert.False(second.Admits()));
    }

    [Fact]
    public void WriteTicket_CallIsOver_KeepsNothingOfItsOwnFromWriting()
    {
        WriteTicket message = MessageOf(NewTicket());
        Cross(message);
        WriteTicket second = Cross(message);
        Assert.False(second.Admits());

        second.EndCall();

        Assert.True(second.Admits());
    }

    [Fact]
    public void WriteTicket_PassedOnByAGateway_IsValidWhereItArrives()
    {
        WriteTicket atTheGateway = Cross(MessageOf(NewTicket()));

        Assert.True(Cross(atTheGateway).Admits());
        Assert.False(Cross(atTheGateway).Admits());
    }

    [Fact]
    public void WriteTicket_SentAndThenDeliveredInItsOwnProcess_IsNotAdmitted()
    {
        WriteTicket message = MessageOf(NewTicket());
        Cross(message);

        Assert.False(message.Admits());
    }

    [Fact]
    public void WriteTicket_TwoMessagesOfOneCaller_AreBothValid()
    {
        WriteTicket ticket = NewTicket();

        Assert.True(Cross(MessageOf(ticket)).Admits());
        Assert.True(Cross(MessageOf(ticket)).Admits());
        Assert.True(MessageOf(ticket).Admits());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void WriteTicket_AMessageIsSentOrAdmitted_CannotBeVoided(bool isSent)
    {
        WriteTicket ticket = NewTicket();
        WriteTicket message = MessageOf(ticket);
        MessageOf(ticket);
        if (isSent) Cross(message);
        else message.Admits();

        Assert.False(ticket.TryVoid());
    }

    [Fact]
    public void WriteTicket_Voided_NoMessageOfItWrites()
    {
        WriteTicket ticket = NewTicket();
        WriteTicket before = MessageOf(ticket);

        Assert.True(ticket.TryVoid());

        Assert.False(before.Admits());
        Assert.False(Cross(MessageOf(ticket)).Admits());
        Assert.False(MessageOf(ticket).Admits());
        Assert.True(ticket.TryVoid());
    }

    // As Orleans does: it copies the request context.
    private static WriteTicket MessageOf(WriteTicket ticket) =>
        (WriteTicket)Services.GetRequiredService<DeepCopier>().Copy(
            new Dictionary<string, object> { [WriteTicket.ContextKey] = ticket })[WriteTicket.ContextKey];

    private static WriteTicket NewTicket() =>
        new WriteTicketConverter().ConvertFromSurrogate(new WriteTicketSurrogate { IsValid = true });

    private static T Cross<T>(T value) => Serializer.Deserialize<T>(Serializer.SerializeToArray(value))!;
}
