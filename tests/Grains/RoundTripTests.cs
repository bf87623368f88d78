using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using UPool.Cluster.Workers;

namespace UPool.Grains.Tests;

public sealed class RoundTripTests
{
    [Fact]
    public void Replies_WithUsers_Survive()
    {
        using ServiceProvider services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        var serializer = services.GetRequiredService<Serializer>();
        var page = Reply.Ok(new UserPage([new User(1, "Ada"), new User(long.MaxValue, "文")], 7));

        Reply<UserPage> crossed = serializer.Deserialize<Reply<UserPage>>(serializer.SerializeToArray(page))!;

        Assert.Equal(page.Value!.Users, crossed.Value!.Users);
        Assert.Equal(7, crossed.Value.Next);
    }
}
