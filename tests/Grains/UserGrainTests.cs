using UPool.Cluster;

namespace UPool.Grains.Tests;

/// <summary>The users' grain on any database: each database derives a class and runs the same tests.</summary>
public abstract class UserGrainTests(UserHostFixture fixture) : IAsyncLifetime
{
    private static readonly string Longest = string.Concat(Enumerable.Repeat("é", 255));

    protected UserHost Users => fixture.Host;

    public async ValueTask InitializeAsync() => await Users.ExecuteAsync(fixture.Reset);

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Create_Name_IsReadBackByItsId()
    {
        User created = UserHost.Ok(await Users.CreateAsync("Ada"));

        Assert.True(created.Id > 0);
        Assert.Equal("Ada", created.Name);
        Assert.Equal(created, UserHost.Ok(await Users.GetAsync(created.Id)));
    }

    [Theory]
    [InlineData("'; DROP TABLE tb1; -- ")]
    [InlineData("\\' OR 1=1 #")]
    [InlineData("@id %s ? {0} `x`")]
    [InlineData("  ")]
    [InlineData("line\nbreak\ttab\0nul")]
    [InlineData("文字化け 👩‍👩‍👧‍👦 ñ")]
    public async Task Create_AnyUnicode_IsData(string name)
    {
        User created = UserHost.Ok(await Users.CreateAsync(name));

        Assert.Equal(name, UserHost.Ok(await Users.GetAsync(created.Id)).Name);
        Assert.Equal([name], await Users.NamesAsync());
    }

    [Fact]
    public async Task Create_LongestName_CountsCharactersAndNotUnits()
    {
        string emoji = string.Concat(Enumerable.Repeat("😀", 255));

        Assert.Equal(Longest, UserHost.Ok(await Users.CreateAsync(Longest)).Name);
        Assert.Equal(emoji, UserHost.Ok(await Users.CreateAsync(emoji)).Name);
        Assert.Equal([Longest, emoji], await Users.NamesAsync());
    }

    [Theory]
    [InlineData("", "name is empty")]
    [InlineData(null, "name is empty")]
    public async Task Write_NameThatCannotBe_IsInvalidAndChangesNothing(string? name, string problem)
    {
        User ada = UserHost.Ok(await Users.CreateAsync("Ada"));

        AssertInvalid(await Users.CreateAsync(name!), problem);
        AssertInvalid(await Users.RenameAsync(ada.Id, name!), problem);
        AssertInvalid(await Users.CreateBatchAsync(["Grace", name!]), problem);

        Assert.Equal(["Ada"], await Users.NamesAsync());
    }

    [Fact]
    public async Task Write_NameLongerThanTheColumn_IsInvalidAndChangesNothing()
    {
        User ada = UserHost.Ok(await Users.CreateAsync("Ada"));
        string tooLong = Longest + "x";

        AssertInvalid(await Users.CreateAsync(tooLong), "name is longer than 255 characters");
        AssertInvalid(await Users.RenameAsync(ada.Id, tooLong), "name is longer than 255 characters");
        AssertInvalid(await Users.CreateBatchAsync(["Grace", tooLong]), "name is longer than 255 characters");

        Assert.Equal(["Ada"], await Users.NamesAsync());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    [InlineData(long.MaxValue)]
    public async Task ById_NoSuchUser_IsNotFound(long id)
    {
        Assert.Equal(ReplyStatus.NotFound, (await Users.GetAsync(id)).Status);
        Assert.Equal(ReplyStatus.NotFound, (await Users.RenameAsync(id, "Ada")).Status);
        Assert.Equal(ReplyStatus.NotFound, (await Users.DeleteAsync(id)).Status);
    }

    [Fact]
    public async Task GetMany_MissingTwiceAndBelowOne_AreAnsweredInTheOrderOfTheIds()
    {
        User[] users = UserHost.Ok(await Users.CreateBatchAsync(["Ada", "Grace", "Edsger"]));
        long[] ids = [users[2].Id, -1, users[0].Id, long.MaxValue, users[2].Id, 0, users[1].Id, long.MinValue];

        User?[] rows = UserHost.Ok(await Users.GetManyAsync(ids));

        Assert.Equal([users[2], null, users[0], null, users[2], null, users[1], null], rows);
    }

    [Fact]
    public async Task GetMany_NoneOrTooMany_IsInvalid()
    {
        long[] most = [.. Enumerable.Range(1, 256)];

        AssertInvalid(await Users.GetManyAsync([]), "a look-up has 1 to 256 keys");
        AssertInvalid(await Users.GetManyAsync([.. most, 257]), "a look-up has 1 to 256 keys");
        AssertInvalid(await Users.GetManyAsync(null!), "a look-up has 1 to 256 keys");
        Assert.Equal(new User?[256], UserHost.Ok(await Users.GetManyAsync(most)));
    }

    [Fact]
    public async Task Get_LargestId_IsFound()
    {
        await Users.ExecuteAsync($"INSERT INTO tb1 (id, name) VALUES ({long.MaxValue}, 'last')");

        Assert.Equal(new User(long.MaxValue, "last"), UserHost.Ok(await Users.GetAsync(long.MaxValue)));
        Assert.Null(UserHost.Ok(await Users.ListAsync()).Next);
        UserHost.Ok(await Users.DeleteAsync(long.MaxValue));
    }

    [Fact]
    public async Task List_PagesByKey_GoesThroughAllRowsOnce()
    {
        string[] names = [.. Enumerable.Range(0, 7).Select(static number => $"user {number}")];
        UserHost.Ok(await Users.CreateBatchAsync(names));

        var seen = new List<string>();
        long after = 0;
        for (int pages = 0; ; pages++)
        {
            Assert.True(pages < 3, "More pages than there can be.");
            UserPage page = UserHost.Ok(await Users.ListAsync(3, after));
            seen.AddRange(page.ReadUsers().Select(static user => user.Name));
            if (page.Next is not { } next) break;

            Assert.Equal(3, page.ReadUsers().Length);
            Assert.Equal(page.ReadUsers()[^1].Id, next);
            after = next;
        }

        Assert.Equal(names, seen);
    }

    [Fact]
    public async Task List_LimitIsTheNumberOfRows_SaysThatThereAreNoMore()
    {
        UserHost.Ok(await Users.CreateBatchAsync(["a", "b"]));

        Assert.Null(UserHost.Ok(await Users.ListAsync(2)).Next);
        Assert.NotNull(UserHost.Ok(await Users.ListAsync(1)).Next);
        Assert.Null(UserHost.Ok(await Users.ListAsync(int.MaxValue)).Next);
        Assert.Equal(ReplyStatus.Invalid, (await Users.ListAsync(0)).Status);
    }

    [Fact]
    public async Task Rename_NewName_IsAnsweredAndStored()
    {
        User ada = UserHost.Ok(await Users.CreateAsync("Ada"));

        User renamed = UserHost.Ok(await Users.RenameAsync(ada.Id, "Grace"));

        Assert.Equal(new User(ada.Id, "Grace"), renamed);
        Assert.Equal(renamed, UserHost.Ok(await Users.GetAsync(ada.Id)));
    }

    [Fact]
    public async Task Rename_NameItHasAlready_IsNoMissingUser()
    {
        User ada = UserHost.Ok(await Users.CreateAsync("Ada"));

        Assert.Equal(ada, UserHost.Ok(await Users.RenameAsync(ada.Id, "Ada")));
    }

    [Fact]
    public async Task Delete_User_IsAnsweredAndGone()
    {
        User ada = UserHost.Ok(await Users.CreateAsync("Ada"));
        User grace = UserHost.Ok(await Users.CreateAsync("Grace"));

        Assert.Equal(ada, UserHost.Ok(await Users.DeleteAsync(ada.Id)));

        Assert.Equal(ReplyStatus.NotFound, (await Users.DeleteAsync(ada.Id)).Status);
        Assert.Equal([grace], UserHost.Ok(await Users.ListAsync()).ReadUsers());
    }

    [Fact]
    public async Task CreateBatch_MostNames_AreAnsweredInOrderWithTheIdsTheyHave()
    {
        // Names long enough for several statements.
        string[] names =
            [.. Enumerable.Range(0, UserNames.MaxBatch).Select(static n => $"{n:0000} {new string('é', 250)}")];

        User[] created = UserHost.Ok(await Users.CreateBatchAsync(names));

        Assert.Equal(names, created.Select(static user => user.Name));
        Assert.Equal(created, UserHost.Ok(await Users.ListAsync(UserNames.MaxBatch)).ReadUsers());
    }

    [Fact]
    public async Task CreateBatch_ManyAtOnce_EachHasItsOwnIds()
    {
        Reply<User[]>[] replies = await Task.WhenAll(Enumerable.Range(0, 8).Select(batch =>
            Users.CreateBatchAsync([.. Enumerable.Range(0, 20).Select(n => $"{batch}/{n}")])));

        User[] created = [.. replies.SelectMany(UserHost.Ok).OrderBy(static user => user.Id)];
        Assert.Equal(created, UserHost.Ok(await Users.ListAsync()).ReadUsers());
    }

    [Fact]
    public async Task CreateBatch_NoneOrTooMany_IsInvalid()
    {
        Assert.Equal(ReplyStatus.Invalid, (await Users.CreateBatchAsync([])).Status);
        Assert.Equal(
            ReplyStatus.Invalid,
            (await Users.CreateBatchAsync([.. Enumerable.Repeat("x", UserNames.MaxBatch + 1)])).Status);
        Assert.Empty(await Users.NamesAsync());
    }

    private static void AssertInvalid<T>(Reply<T> reply, string problem)
    {
        Assert.Equal(ReplyStatus.Invalid, reply.Status);
        Assert.Equal(problem, reply.Detail);
    }
}

/// <summary>One host for all tests of a class.</summary>
public abstract class UserHostFixture : IAsyncLifetime
{
    public UserHost Host { get; private set; } = null!;

    /// <summary>A statement that empties the table and restarts the ids: one test uses the last id.</summary>
    public abstract string Reset { get; }

    public async ValueTask InitializeAsync() => Host = await StartAsync();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await Host.DisposeAsync();
    }

    protected abstract Task<UserHost> StartAsync();
}
