using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using UPool.Cluster;

namespace UPool.Grains.Tests;

public sealed class RoundTripTests
{
    [Fact]
    public void Replies_WithUsers_Survive()
    {
        using ServiceProvider services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        var serializer = services.GetRequiredService<Serializer>();
        using var writer = new UserPageWriter();
        writer.Add(1, "Ada");
        writer.Add(7, "文 \"\n😀");
        Reply<UserPage> page = Reply.Ok(writer.Finish(hasMore: true));

        Reply<UserPage> crossed = serializer.Deserialize<Reply<UserPage>>(serializer.SerializeToArray(page))!;

        Assert.Equal([new User(1, "Ada"), new User(7, "文 \"\n😀")], crossed.Value!.ReadUsers());
        Assert.Equal(7, crossed.Value.Next);
    }
}
